import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { measure } from '../../src/files/measure.ts'
import { recognise } from '../../src/files/recognise.ts'
import { makeDirectory } from '../helpers/directory.ts'
import { mp4, pdf, png, wav } from '../helpers/pictures.ts'
import { amr, box, flac, movie, mp3, ogg, silk, sound, webm } from '../helpers/sounds.ts'

const path = join(makeDirectory(t), 'file')

async function look(bytes: Buffer): Promise<{ mime: string; width: number; height: number; durationS: number }> {
  writeFileSync(path, bytes)
  const { mime, width, height } = await recognise(bytes.subarray(0, 256 * 1024))
  return { mime, ...(await measure(path, { mime, width, height })) }
}

t.test('sound lasts as long as it does, in whole seconds that are begun', async (t) => {
  const rows: [label: string, bytes: Buffer, mime: RegExp, durationS: number][] = [
    ['a tenth of a second of WAV', wav(), /^audio\/wav$/, 1],
    ['2.5 s of WAV', sound(2.5), /^audio\/wav$/, 3],
    ['3 s of WAV', sound(3), /^audio\/wav$/, 3],
    ['an hour of WAV that was cut off', sound(3600).subarray(0, 1000), /^audio\/wav$/, 10],
    ['MP3 of one rate', mp3(100), /^audio\/mpeg$/, 3],
    ['MP3 of changing rates', mp3(100, [0x90, 0xa0, 0xb0]), /^audio\/mpeg$/, 3],
    ['Opus', ogg(4.5), /^audio\/ogg/, 5],
    ['FLAC', flac(7), /^audio\/(x-)?flac$/, 7],
    ['SILK', silk(75), /^audio\/silk$/, 2],
    ['SILK as one messenger writes it', Buffer.concat([Buffer.from([2]), silk(50)]), /^audio\/silk$/, 1],
    ['SILK with an end', Buffer.concat([silk(51), Buffer.from([0xff, 0xff, 1, 2])]), /^audio\/silk$/, 2],
    ['AMR', amr(150), /^audio\/amr$/, 3],
    ['M4A', movie({ brand: 'M4A ', durationS: 12 }), /^audio\/x-m4a$/, 12],
    ['WebM', webm({ durationS: 2.5 }), /^video\/webm$/, 3],
    ['WebM that was recorded by a browser', webm({ clusters: [0, 5000] }), /^video\/webm$/, 6]
  ]
  for (const [label, bytes, mime, durationS] of rows) t.match(await look(bytes), { mime, durationS }, label)
})

t.test('films have a size', async (t) => {
  const rows: [label: string, bytes: Buffer, width: number, height: number, durationS: number][] = [
    ['MP4', movie({ width: 640, height: 360, durationS: 9.2 }), 640, 360, 10],
    ['MP4 with its head at the end', movie({ width: 640, height: 360, durationS: 9, ahead: 300_000 }), 640, 360, 9],
    ['MP4 of large numbers', movie({ width: 640, height: 360, durationS: 9, isLong: true }), 640, 360, 9],
    [
      'MP4 that a telephone took upright',
      movie({ width: 640, height: 360, durationS: 1, isTurned: true }),
      360,
      640,
      1
    ],
    ['QuickTime', movie({ brand: 'qt  ', width: 64, height: 36, durationS: 1 }), 64, 36, 1],
    ['MP4 in fragments', movie({ width: 64, height: 36, durationS: 0, fragmentsS: 8 }), 64, 36, 8],
    ['WebM', webm({ width: 320, height: 240, durationS: 3 }), 320, 240, 3],
    ['WebM that was recorded by a browser', webm({ width: 320, height: 240, clusters: [0, 1000] }), 320, 240, 2]
  ]
  for (const [label, bytes, width, height, durationS] of rows)
    t.match(await look(bytes), { mime: /^video\//, width, height, durationS }, label)
})

t.test('what is neither is left as it is', async (t) => {
  t.strictSame(await look(png(30, 20)), { mime: 'image/png', width: 30, height: 20, durationS: 0 })
  t.strictSame(await look(pdf()), { mime: 'application/pdf', width: 0, height: 0, durationS: 0 })
})

t.test('what is broken has no length, and breaks nothing', async (t) => {
  const whole = [sound(1), mp3(20), ogg(1), flac(1), silk(20), amr(20), webm({ durationS: 1 }), webm({ clusters: [0] })]
  const films = [movie({ width: 8, height: 8, durationS: 1 }), movie({ durationS: 1, isLong: true }), mp4()]
  for (const bytes of [...whole, ...films]) {
    // Cut off, and with each part in turn made of ones: lengths become as large as they can be.
    for (let at = 12; at < Math.min(bytes.length, 400); at += 4) {
      const odd = Buffer.from(bytes)
      odd.fill(0xff, at, Math.min(at + 4, odd.length))
      for (const broken of [bytes.subarray(0, at), odd]) {
        const { width, height, durationS } = await look(broken)
        const isSound = [width, height, durationS].every((value) => Number.isSafeInteger(value) && value >= 0)
        if (!isSound) t.fail(`${at} of ${bytes.toString('latin1', 0, 12)}: ${width} ${height} ${durationS}`)
      }
    }
  }
  t.strictSame(await measure(join(path, 'missing'), { mime: 'video/mp4', width: 0, height: 0 }), {
    width: 0,
    height: 0,
    durationS: 0
  })
})

t.test('films that are made to be read for ever are read for a while', async (t) => {
  const empty = Buffer.concat(Array.from({ length: 50_000 }, () => box('free')))
  t.match(await look(Buffer.concat([mp4(), empty, movie({ durationS: 5 })])), { durationS: 0 })
  const nested = Array.from({ length: 2000 }).reduce<Buffer>((inner) => box('moov', inner), Buffer.alloc(0))
  t.match(await look(Buffer.concat([mp4().subarray(0, 24), nested])), { durationS: 0 })
})
