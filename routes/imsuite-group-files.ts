import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bodyOf, idOf, pageOf, perform, personOf, wholeNumber } from '../plugins/people.ts'
import { ActionError } from '../src/core/errors.ts'
import type { Gateway } from '../src/gateway.ts'
import { toGroupFile, toGroupFolder } from '../src/protocols/imsuite-files.ts'
import { toAnswer, toPagination } from '../src/protocols/imsuite-rest.ts'
import { ROOT_FOLDER } from '../src/schema/file.ts'

/** The files of a group and their folders, as bots have them by Milky 1.2. People call the root folder 0. */
export async function imSuiteGroupFiles(app: FastifyInstance, { gateway }: { gateway: Gateway }): Promise<void> {
  const { groupFiles, links, dispatcher } = gateway
  const { own } = app.people
  const seat = (request: FastifyRequest) => ({ group_id: idOf(request), file_id: String(idOf(request, 'file_id')) })
  const folder = (request: FastifyRequest) => ({
    group_id: idOf(request),
    folder_id: String(idOf(request, 'folder_id'))
  })

  app.get('/api/chats/:id/files', own, async (request) => {
    const { page, limit, offset } = pageOf(request)
    const field = 'folder_id'
    const folderId = wholeNumber(request, field, { fallback: 0, min: 0, max: Number.MAX_SAFE_INTEGER }) || undefined
    const { id } = personOf(request).account
    const found = await groupFiles.list(id, idOf(request), { folderId, field }, { offset, limit })
    return toAnswer({
      files: found.files.map((file) => toGroupFile(file, links.linkOf)),
      folders: found.folders.map(toGroupFolder),
      pagination: toPagination({ page, limit, total: found.total })
    })
  })

  app.put('/api/chats/:id/files/:file_id', own, async (request) => {
    const { name, file_name = name, folder_id } = bodyOf(request)
    const { group_id: chat_id, file_id } = seat(request)
    await perform(request, dispatcher, 'update_chat_file', {
      chat_id,
      file_id,
      name: file_name,
      folder_id: toFolderId(folder_id)
    })
    const file = await groupFiles.get(personOf(request).account.id, chat_id, Number(file_id))
    return toAnswer(toGroupFile(file, links.linkOf))
  })

  app.delete('/api/chats/:id/files/:file_id', own, async (request) => {
    await perform(request, dispatcher, 'delete_group_file', seat(request))
    return toAnswer({})
  })

  app.post('/api/chats/:id/folders', own, async (request, reply) => {
    const { name, folder_name = name } = bodyOf(request)
    const { folder_id } = await perform<{ folder_id: string }>(request, dispatcher, 'create_group_folder', {
      group_id: idOf(request),
      folder_name
    })
    return reply.code(201).send(toAnswer(await getFolder(request, Number(folder_id))))
  })

  app.put('/api/chats/:id/folders/:folder_id', own, async (request) => {
    const { name, folder_name = name } = bodyOf(request)
    const change = { ...folder(request), new_folder_name: folder_name }
    await perform(request, dispatcher, 'rename_group_folder', change)
    return toAnswer(await getFolder(request, idOf(request, 'folder_id')))
  })

  app.delete('/api/chats/:id/folders/:folder_id', own, async (request) => {
    await perform(request, dispatcher, 'delete_group_folder', folder(request))
    return toAnswer({})
  })

  async function getFolder(request: FastifyRequest, folderId: number) {
    return toGroupFolder(await groupFiles.getFolder(personOf(request).account.id, idOf(request), folderId))
  }
}

/** As the actions call the folder; undefined when there is nothing to say about it. */
function toFolderId(given: unknown): string | undefined {
  if (given === undefined) return undefined
  if (given === 0 || given === ROOT_FOLDER) return ROOT_FOLDER
  if (!Number.isSafeInteger(given) || (given as number) < 0)
    throw new ActionError('invalid', 'folder_id: expected the id of a folder, or 0', { field: 'folder_id' })
  return String(given)
}
