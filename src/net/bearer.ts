/** The token of `Authorization: Bearer …`; the scheme in any case. */
export function parseBearer(header: string | undefined): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? '')?.[1]
}
