import t from 'tap'
import { createLinks, type LinksOptions } from '../../src/core/links.ts'

const START = 1_700_000_000
const FILE = { fileId: 7, name: 'Ein Bild/von mir.png' }
const SECRET = 'a secret of this deployment'

function create(options: Partial<LinksOptions> = {}) {
  return createLinks({
    secret: SECRET,
    publicUrl: undefined,
    origin: () => 'http://127.0.0.1:3000',
    now: () => START,
    ...options
  })
}

/** The parts of a link that say whether it counts. */
function partsOf(link: string): [expiry: string, signature: string] {
  const { searchParams } = new URL(link, 'http://127.0.0.1')
  return [searchParams.get('exp') ?? '', searchParams.get('sig') ?? '']
}

t.test('a link is a path, or absolute where the public address is known', async (t) => {
  t.match(create().linkOf(FILE), /^\/api\/files\/7\/Ein_Bild_von_mir\.png\?exp=\d{10}&sig=[\w-]{43}$/)
  t.match(create().absoluteLinkOf(FILE), /^http:\/\/127\.0\.0\.1:3000\/api\/files\/7\//)
  const known = create({ publicUrl: 'https://chat.example.org/im' })
  for (const link of [known.linkOf(FILE), known.absoluteLinkOf(FILE)])
    t.match(link, /^https:\/\/chat\.example\.org\/im\/api\/files\/7\//)
  t.equal(
    known.linkOf({ url: 'https://elsewhere.example/cat.png', name: 'cat.png' }),
    'https://elsewhere.example/cat.png'
  )

  const both = create({ publicUrl: 'https://chat.example.org', botUrl: 'http://gateway:3000' })
  t.match(both.linkOf(FILE), /^https:\/\/chat\.example\.org\/api/)
  t.match(both.absoluteLinkOf(FILE), /^http:\/\/gateway:3000\/api\/files\/7\//, 'bots have an address of their own')
  t.equal(both.findFileId(both.absoluteLinkOf(FILE)), 7)
})

t.test('a link holds for a day at least, and is the same for an hour', async (t) => {
  let time = START
  const links = create({ now: () => time })
  const link = links.linkOf(FILE)
  const [expiry, signature] = partsOf(link)
  t.ok(Number(expiry) - START >= 24 * 3600 && Number(expiry) - START <= 25 * 3600)
  time = START - (START % 3600)
  t.equal(links.linkOf(FILE), link)
  time += 3599
  t.equal(links.linkOf(FILE), link)
  time++
  t.not(links.linkOf(FILE), link)
  time = START + 24 * 3600
  t.equal(links.isValid(7, expiry, signature), true)
  time = Number(expiry)
  t.equal(links.isValid(7, expiry, signature), false)
})

t.test('a lasting link is always the same, and counts for ever', async (t) => {
  let time = START
  const links = create({ now: () => time })
  const link = links.lastingLinkOf(FILE)
  time = START + 100 * 365 * 24 * 3600
  t.equal(links.lastingLinkOf(FILE), link)
  t.equal(links.isValid(7, ...partsOf(link)), true)
  t.equal(links.isValid(8, ...partsOf(link)), false)
})

t.test('a link of another file, another time, another deployment or another hand does not count', async (t) => {
  const links = create()
  const [expiry, signature] = partsOf(links.linkOf(FILE))
  t.equal(links.isValid(7, expiry, signature), true)
  t.equal(links.isValid(8, expiry, signature), false)
  t.equal(links.isValid(7, String(Number(expiry) + 3600), signature), false)
  t.equal(links.isValid(7, `0${expiry}`, signature), false)
  t.equal(links.isValid(7, '', signature), false)
  t.equal(links.isValid(7, expiry, ''), false)
  t.equal(links.isValid(7, expiry, `${signature.slice(0, -2)}AA`), false)
  t.equal(create({ secret: 'another' }).isValid(7, expiry, signature), false)
})

t.test('addresses of our files are recognised, however clients write them', async (t) => {
  const links = create({ publicUrl: 'https://chat.example.org/im' })
  const link = create().linkOf(FILE)
  const rows: [url: string, fileId: number | undefined][] = [
    [link, 7],
    ['/api/files/7', 7],
    ['/api/files/7/download', 7],
    ['http://127.0.0.1:3000/api/files/7/preview', 7],
    ['https://chat.example.org/im/api/files/7/cat.png', 7],
    [`http://192.168.1.5:3000${link}`, 7],
    [`http://192.168.1.5:3000${link.replace('/7/', '/8/')}`, undefined],
    ['https://elsewhere.example/api/files/7/cat.png', undefined],
    ['//elsewhere.example/api/files/7/cat.png', undefined],
    ['https://elsewhere.example/cat.png', undefined],
    ['/api/files/0', undefined],
    ['/api/files/7/a/b', undefined],
    ['/api/files/../files/7', 7],
    ['javascript:alert(1)', undefined],
    ['', undefined],
    ['https://', undefined]
  ]
  for (const [url, fileId] of rows) t.equal(links.findFileId(url), fileId, url)
})
