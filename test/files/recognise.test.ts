import t from 'tap'
import { recognise } from '../../src/files/recognise.ts'
import { mp4, pdf, png, wav } from '../helpers/pictures.ts'

const UNKNOWN = { mime: 'application/octet-stream', extension: 'bin', width: 0, height: 0 }

t.test('the bytes say what they are', async (t) => {
  t.strictSame(await recognise(png(30, 20)), { mime: 'image/png', extension: 'png', width: 30, height: 20 })
  t.match(await recognise(wav()), { mime: 'audio/wav', width: 0 })
  t.match(await recognise(mp4()), { mime: 'video/mp4', extension: 'mp4' })
  t.match(await recognise(pdf()), { mime: 'application/pdf' })
  t.match(await recognise(Buffer.from('\u0002#!SILK_V3 and sound')), { mime: 'audio/silk' })
  t.match(await recognise(Buffer.from('#!AMR\n and sound')), { mime: 'audio/amr' })
})

t.test('the first bytes are enough', async (t) => {
  t.match(await recognise(png(4000, 3000).subarray(0, 300)), { mime: 'image/png', width: 4000, height: 3000 })
})

t.test('what a browser could run is bytes and nothing else', async (t) => {
  const rows = [
    '<!doctype html><script>alert(1)</script>',
    '<html><body onload=alert(1)>',
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
    'alert(1)',
    'plain words',
    ''
  ]
  for (const text of rows) t.strictSame(await recognise(Buffer.from(text)), UNKNOWN, text)
})

t.test('broken pictures have no size, and break nothing', async (t) => {
  const whole = png(30, 20)
  t.match(await recognise(whole.subarray(0, 20)), { width: 0, height: 0 })
  const vast = Buffer.from(whole)
  vast.writeUInt32BE(0, 16)
  t.match(await recognise(vast), { mime: 'image/png', width: 0, height: 0 })
  for (const head of [
    'ffd8ffe0',
    'ffd8ffe1ffff',
    '474946383961',
    '52494646000000005745425056503820',
    '424d',
    '49492a00'
  ]) {
    const { width, height } = await recognise(Buffer.from(head.padEnd(64, '0'), 'hex'))
    t.ok(Number.isSafeInteger(width) && Number.isSafeInteger(height), head)
  }
})

t.test('the pictures that every Milky server has to take are known', async (t) => {
  const jpeg = Buffer.from('ffd8ffe000104a46494600010100000100010000ffc0000b080014001e01011100ffd9', 'hex')
  const webp = Buffer.from('524946461a000000574542505650384c0d0000002f1dc0040010885388fe0700', 'hex')
  const bmp = Buffer.alloc(54)
  bmp.write('BM')
  bmp.writeUInt32LE(54, 2)
  bmp.writeUInt32LE(54, 10)
  bmp.writeUInt32LE(40, 14)
  bmp.writeInt32LE(30, 18)
  bmp.writeInt32LE(20, 22)
  bmp.writeUInt16LE(1, 26)
  bmp.writeUInt16LE(24, 28)
  const rows: [bytes: Buffer, mime: string, extension: string][] = [
    [png(30, 20), 'image/png', 'png'],
    [jpeg, 'image/jpeg', 'jpg'],
    [Buffer.from('4749463839611e001400800000000000ffffff2c', 'hex'), 'image/gif', 'gif'],
    [webp, 'image/webp', 'webp'],
    [bmp, 'image/bmp', 'bmp']
  ]
  for (const [bytes, mime, extension] of rows)
    t.strictSame(await recognise(bytes), { mime, extension, width: 30, height: 20 }, mime)
})
