// Room for the rows of running sequences: blocks that grow before they are full, kept prefixes that make way, and who gives
// way where there is no memory. Used by the batch loop.
import { KV_CAPACITY_STEP } from '../../limits.ts';
import type { Group, Groups } from './groups.ts';
import type { Sequence } from './sequence.ts';

/** Guesses of one step at most. */
export const DRAFT_TOKENS_MAX = 10;

export interface RoomComponents {
  readonly groups: Groups;
  /** In the order in which they were admitted. */
  readonly running: () => readonly Sequence[];
  /** Takes a running sequence's slot; it is computed again later. */
  readonly giveWay: (victim: Sequence) => void;
}

export interface RoomInit {
  /** Most tokens of a sequence. */
  readonly contextLength: number;
  readonly drafts: boolean;
  /** Nothing but the length may decide how large a block is. */
  readonly exact: boolean;
  /** Bytes that may be copied between two tokens. */
  readonly copyBytes: number;
}

export class Room {
  readonly #components: RoomComponents;
  readonly #init: RoomInit;

  constructor(components: RoomComponents, init: RoomInit) {
    this.#components = components;
    this.#init = init;
  }

  /** Room for one more token of everyone in the group. @returns false when the group itself is gone */
  forStep(group: Group): boolean {
    const tokens = longest(group) + 1;
    if (tokens + this.#guessed(group) > group.block.capacity) {
      return this.for(group, tokens, tokens + this.#headroom(group));
    }
    this.#growAhead(group, tokens);
    return true;
  }

  /**
   * Room for so many tokens in every slot of a group; whoever came last gives way where there is none, batch work first.
   * @param roomy for how many a block that has to grow is made, where there is memory for it
   * @returns false when the group itself is gone
   */
  for(group: Group, tokens: number, roomy: number): boolean {
    const { groups, running, giveWay } = this.#components;
    for (;;) {
      if (groups.grow(group, Math.min(roomy, this.#init.contextLength)) || groups.grow(group, tokens)) return true;
      const mayGo = running().filter((sequence) => sequence.busy === undefined);
      const victim = mayGo.findLast(({ isBatch }) => isBatch) ?? mayGo.at(-1);
      if (victim === undefined || running().length === 1) return false;
      giveWay(victim);
      if (!groups.all.includes(group)) return false;
    }
  }

  /** As {@link for}, a part of it at a time, because others wait. @returns false when that can't be done */
  slowlyFor(group: Group, roomy: number): boolean {
    const { exact, contextLength, copyBytes } = this.#init;
    return !exact && this.#components.groups.growSlowly(group, Math.min(roomy, contextLength), copyBytes);
  }

  /** So early that the copy is whole when the last row is taken. */
  #growAhead(group: Group, tokens: number): void {
    const { block } = group;
    // What was begun is ended: prompts wait for it.
    if (block.growingTo !== undefined) {
      this.slowlyFor(group, block.growingTo);
      return;
    }
    const calls = Math.ceil(block.bytes / this.#init.copyBytes);
    if (block.capacity - tokens > calls) return;
    const roomy = tokens + this.#headroom(group);
    if (roomy > block.capacity) this.slowlyFor(group, roomy);
  }

  /**
   * Rows to have ahead: as many as are likely to come, because growing copies what is there, but not many beside what is
   * there, because every step pays for them.
   */
  #headroom(group: Group): number {
    const ahead = Math.max(KV_CAPACITY_STEP, longest(group) >> 2);
    if (this.#init.exact) return ahead;
    return Math.max(this.#guessed(group), Math.min(ahead, Math.max(...group.sequences.map(({ left }) => left))));
  }

  /** Guesses need rows beyond the next one, where a sequence is alone. */
  #guessed({ sequences }: Group): number {
    return sequences.length === 1 && this.#init.drafts ? DRAFT_TOKENS_MAX : 0;
  }
}

/** Rows of the sequence that has most. */
const longest = ({ sequences }: Group): number => Math.max(...sequences.map(({ length }) => length));
