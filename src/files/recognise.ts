import type { Content } from '../core/files.ts'

/** As many of the first bytes as are looked at: the sizes of photographs stand behind their previews. */
export const HEAD_BYTES = 256 * 1024

const UNKNOWN = { mime: 'application/octet-stream', extension: 'bin' } as const

/** What browsers may run when they are told so, and readers have no use for the difference. */
const ACTIVE = /html|xml|svg|script|x-msdownload|xpinstall/

/** Loaded with the first file: who starts the gateway should not wait for it. */
const load = () => Promise.all([import('file-type'), import('image-size')])

type Libraries = Awaited<ReturnType<typeof load>>
type Recognised = Pick<Content, 'mime' | 'extension' | 'width' | 'height'>

/** What the bytes say that they are. Broken ones are `application/octet-stream` without a size; nothing is thrown. */
export async function recognise(head: Uint8Array): Promise<Recognised> {
  const [{ fileTypeFromBuffer }, { imageSize }] = await load()
  const { mime, extension } = await findType(head, fileTypeFromBuffer)
  const size = mime.startsWith('image/') ? findSize(head, imageSize) : undefined
  return { mime, extension, width: size?.width ?? 0, height: size?.height ?? 0 }
}

async function findType(
  head: Uint8Array,
  fileTypeFromBuffer: Libraries[0]['fileTypeFromBuffer']
): Promise<Pick<Recognised, 'mime' | 'extension'>> {
  // What phones of one messenger record, and nobody else knows.
  if (Buffer.from(head.subarray(0, 16)).toString('latin1').replace('\u0002', '').startsWith('#!SILK_V3'))
    return { mime: 'audio/silk', extension: 'silk' }
  try {
    const found = await fileTypeFromBuffer(head)
    if (!found || ACTIVE.test(found.mime)) return UNKNOWN
    return { mime: found.mime, extension: found.ext }
  } catch {
    return UNKNOWN
  }
}

function findSize(
  head: Uint8Array,
  imageSize: Libraries[1]['imageSize']
): { width: number; height: number } | undefined {
  try {
    // A copy with a memory of its own: the library reads past the end of a part.
    const { width, height, orientation = 1 } = imageSize(new Uint8Array(head))
    if (!isPixels(width) || !isPixels(height)) return undefined
    // A camera that was held upright says so instead of turning the picture.
    return orientation >= 5 ? { width: height, height: width } : { width, height }
  } catch {
    return undefined
  }
}

function isPixels(value: number): boolean {
  return Number.isSafeInteger(value) && value > 0
}
