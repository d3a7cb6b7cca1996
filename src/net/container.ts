import { existsSync } from 'node:fs'

/** What Docker, Podman and Kubernetes leave in their containers. */
const MARKS = ['/.dockerenv', '/run/.containerenv', '/var/run/secrets/kubernetes.io']

/** Whether this process runs in a container, where 127.0.0.1 is the container and not the machine. */
export function isInContainer(): boolean {
  return MARKS.some((path) => existsSync(path))
}
