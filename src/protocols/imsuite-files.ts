import type { LinkOf } from '../core/links.ts'
import type { StoredFile } from '../core/store.ts'
import { toTimestamp } from './imsuite.ts'

/** A file as the REST door tells it (IM-Suite contract 1.5): every client finds the name that it knows a field by. */
export function toFile({ id, name, mime, size, width, height, createdAt }: StoredFile, linkOf: LinkOf) {
  const url = linkOf({ fileId: id, name })
  return {
    id,
    file_id: id,
    name,
    file_name: name,
    size,
    file_size: size,
    type: mime,
    mime_type: mime,
    url,
    file_url: url,
    width,
    height,
    thumbnail: '',
    created_at: toTimestamp(createdAt)
  }
}
