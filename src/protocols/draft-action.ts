import { Type, type Static, type TObject } from '@sinclair/typebox'
import { Uin } from '../schema/common.ts'

/** One action of the draft: what it takes, and which action of Milky 1.2 with which parameters it means. */
export interface DraftAction {
  readonly name: string
  readonly params: TObject
  readonly toCall: (params: never) => Call
}

export interface Call {
  readonly action: string
  readonly params: object
  /** The answer in the draft's words; absent when it is the same. */
  readonly toData?: ((data: never) => object) | undefined
}

export function draft<P extends TObject>(name: string, params: P, toCall: (params: Static<P>) => Call): DraftAction {
  return { name, params, toCall }
}

/** For actions that differ in nothing, or in the answer only. */
export function same<P extends TObject>(name: string, params: P, toData?: (data: never) => object): DraftAction {
  return draft(name, params, (given) => ({ action: name, params: given, toData }))
}

/** Parameters that many actions share. */
export const group = { group_id: Uin }
export const member = { ...group, user_id: Uin }
export const Id = Type.String({ description: 'expected a string' })
