import type { Running } from './app.ts'

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH']

/** All routes, as `GET /api/chats/:id`, each once, from the tree that Fastify prints: four characters of indentation are one step down. */
export function routesOf({ lactea }: Pick<Running, 'lactea'>): string[] {
  const parents: string[] = []
  const routes = lactea.app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', name = '', methods = ''] = /^([│├└─ ]*)(\S+) \((.*?)\)(?: \{.*\})?$/.exec(line) ?? []
      if (name === '') return []
      const depth = indent.length / 4
      const path = depth > 1 ? parents[depth - 1] + name : `/${name.replace(/^\//, '')}`
      parents[depth] = path
      return methods.split(', ').flatMap((method) => (METHODS.includes(method) ? [`${method} ${path}`] : []))
    })
  return [...new Set(routes)]
}
