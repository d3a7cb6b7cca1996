import { runInNewContext } from 'node:vm'

/** As much of an element as a script of ours uses. */
export class TestElement {
  readonly tag: string
  children: (TestElement | string)[] = []
  readonly dataset: Record<string, string> = {}
  hidden = false
  disabled = false
  checked = false
  value = ''
  /** What a person has filled into the form. */
  given: Record<string, string> = {}
  onclick: ((event: object) => unknown) | undefined
  onsubmit: ((event: object) => unknown) | undefined

  constructor(tag: string) {
    this.tag = tag
  }

  append(...nodes: (TestElement | string)[]): void {
    this.children.push(...nodes)
  }

  replaceChildren(...nodes: (TestElement | string)[]): void {
    this.children = nodes
  }

  reset(): void {
    this.given = {}
  }

  get textContent(): string {
    return this.children.map((child) => (typeof child === 'string' ? child : child.textContent)).join(' ')
  }

  set textContent(text: string) {
    this.children = text === '' ? [] : [text]
  }

  /** The buttons within that say this. */
  buttons(text: string): TestElement[] {
    return this.children.flatMap((child) => {
      if (typeof child === 'string') return []
      const own = child.tag === 'button' && child.textContent === text ? [child] : []
      return [...own, ...child.buttons(text)]
    })
  }
}

export interface TestPage {
  readonly byId: (id: string) => TestElement
  readonly submit: (id: string, given: Record<string, string>) => void
  readonly press: (button: TestElement | undefined) => void
  /** The tab's own storage. */
  readonly stored: Map<string, string>
}

export interface TestPageOptions {
  /** Of the page. */
  readonly url: string
  /** What the browser prefers. */
  readonly language?: string
}

/**
 * Runs the script of a page without a browser, over real HTTP: elements by their ids, words, buttons and forms are there,
 * nothing is drawn.
 */
export async function openPage({ url, language = 'en' }: TestPageOptions): Promise<TestPage> {
  const html = await (await fetch(url)).text()
  const [markup = '', rest = ''] = html.split('<script>')
  const elements = new Map<string, TestElement>()
  const translated: TestElement[] = []
  for (const [, tag = '', attributes = '', words = ''] of markup.matchAll(/<(\w+)([^>]*)>([^<]*)/g)) {
    const element = new TestElement(tag)
    element.textContent = words.trim()
    element.hidden = / hidden(?:\s|$)/.test(attributes)
    element.checked = / checked(?:\s|$)/.test(attributes)
    const [, id] = / id="([^"]+)"/.exec(attributes) ?? []
    const [, chinese] = / data-zh="([^"]+)"/.exec(attributes) ?? []
    if (id !== undefined) elements.set(id, element)
    if (chinese === undefined) continue
    element.dataset['zh'] = chinese
    translated.push(element)
  }
  const byId = (id: string): TestElement => {
    const element = elements.get(id)
    if (!element) throw new Error(`the page has no ${id}`)
    return element
  }
  const stored = new Map<string, string>()
  const tables = (selectors: string): TestElement[] =>
    selectors === '[data-zh]' ? translated : [...elements.values()].filter(({ tag }) => tag === 'tbody' || tag === 'dl')

  runInNewContext(rest.split('</script>')[0] ?? '', {
    document: {
      hidden: false,
      documentElement: { lang: 'en' },
      getElementById: byId,
      createElement: (tag: string) => new TestElement(tag),
      querySelectorAll: tables
    },
    navigator: { language },
    sessionStorage: {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => void stored.set(key, value),
      removeItem: (key: string) => void stored.delete(key)
    },
    FormData: class {
      constructor({ given }: TestElement) {
        return new Map(Object.entries(given))
      }
    },
    fetch: (path: string, options: RequestInit) => fetch(new URL(path, url), options),
    // Nobody is there to say no, and nothing happens by itself.
    confirm: () => true,
    setInterval: () => 0
  })

  return {
    byId,
    stored,
    submit(id, given) {
      const form = byId(id)
      form.given = given
      form.onsubmit?.({ preventDefault() {}, target: form })
    },
    press(button) {
      if (!button || button.disabled) throw new Error('there is no such button')
      button.onclick?.({ target: button })
    }
  }
}
