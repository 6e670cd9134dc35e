// Where sequences have their rows: in blocks, each of which is one run of the graph per step. A sequence stands alone while
// its prompt is computed; which ones decode together is the plan's to say, here they are moved. Used by the batch loop.
import { type DecoderLayout, rowBytes } from '../../../../models/onnx/kv-rewrite/layout.ts';
import { assert } from '../../../core/assert.ts';
import { capacityFor, KvBlock } from './kv-block.ts';
import type { Sequence } from './sequence.ts';

/** Sequences that are computed together; the one at an index has the slot of that number. */
export interface Group {
  readonly block: KvBlock;
  readonly sequences: Sequence[];
}

export interface Place {
  readonly group: Group;
  readonly slot: number;
}

export interface GroupsInit {
  readonly layout: DecoderLayout;
  /** Bytes that all blocks may take. */
  readonly bytesMax: number;
  /** Called before blocks take so many bytes more: what is kept beside them has to go first. */
  readonly onGrowth: (bytes: number) => void;
}

/** Slots are made ahead in these numbers, so that not every newcomer moves all others. */
const SLOT_STEPS: readonly number[] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

const slotsFor = (sequences: number): number => SLOT_STEPS.find((slots) => slots >= sequences) ?? sequences;

const lengthsOf = (sequences: readonly Sequence[]): number[] => sequences.map(({ length }) => length);

export class Groups {
  readonly #init: GroupsInit;
  readonly #groups: Group[] = [];
  readonly #rowBytes: number;

  constructor(init: GroupsInit) {
    this.#init = init;
    this.#rowBytes = rowBytes(init.layout);
  }

  get all(): readonly Group[] {
    return this.#groups;
  }

  get bytes(): number {
    return this.#groups.reduce((sum, { block }) => sum + block.bytes, 0);
  }

  /** Bytes of a block of its own for so many tokens. */
  bytesFor(tokens: number): number {
    return capacityFor(tokens) * this.#rowBytes;
  }

  placeOf(sequence: Sequence): Place {
    for (const group of this.#groups) {
      const slot = group.sequences.indexOf(sequence);
      if (slot >= 0) return { group, slot };
    }
    throw new Error('a running sequence has its rows somewhere');
  }

  /**
   * Gives a newcomer a block of its own.
   * @param tokens that it has room for at first: what a block could hold beyond its rows is computed and hidden at every
   *   step, so it grows with them
   * @param later tokens for which there must be memory too
   * @returns false when there is none
   */
  open(sequence: Sequence, tokens: number, later = tokens): boolean {
    if (!this.#reserve(() => this.bytesFor(Math.max(tokens, later)))) return false;
    this.#groups.push({ block: new KvBlock(this.#init.layout, 1, capacityFor(tokens)), sequences: [sequence] });
    return true;
  }

  /** Makes room for so many tokens in every slot of a group. @returns false when there is no memory for it */
  grow(group: Group, tokens: number): boolean {
    const { block, sequences } = group;
    if (tokens <= block.capacity) return true;
    const lengths = lengthsOf(sequences);
    if (block.growingTo !== undefined && block.growingTo >= tokens) {
      block.continueGrowth(this.#init.layout.layers, lengths);
      return true;
    }
    for (const capacity of [capacityFor(tokens, block.capacity), capacityFor(tokens)]) {
      const slots = Math.max(sequences.length, 1);
      if (!this.#reserve(() => slots * capacity * this.#rowBytes - block.bytes)) continue;
      block.resize(slots, capacity, lengths);
      return true;
    }
    return false;
  }

  /**
   * Makes room over several calls, each of which copies about so many bytes, while the rows are used where they are.
   * @returns false when there is no memory for two blocks, or the whole is copied as quickly
   */
  growSlowly(group: Group, tokens: number, bytes: number): boolean {
    const { block, sequences } = group;
    const { layout, bytesMax, onGrowth } = this.#init;
    const copied = block.slots * block.capacity * this.#rowBytes;
    if (tokens <= block.capacity || copied <= bytes) return false;
    if (block.growingTo === undefined) {
      const capacity = capacityFor(tokens, block.capacity);
      const extra = block.slots * capacity * this.#rowBytes;
      if (this.bytes + extra > bytesMax) return false;
      onGrowth(extra);
      block.beginGrowth(capacity);
    }
    block.continueGrowth(Math.max(1, Math.floor((bytes * layout.layers) / copied)), lengthsOf(sequences));
    return true;
  }

  /** A sequence leaves: the last one of its group takes its slot. @param dirty its rows must not be multiplied with any more */
  close(sequence: Sequence, dirty = false): void {
    const { group, slot } = this.placeOf(sequence);
    const { block, sequences } = group;
    if (dirty) block.clear(slot);
    const last = sequences.pop();
    assert(last !== undefined, 'the group holds the sequence');
    if (last !== sequence) {
      block.take(block, sequences.length, slot, last.length);
      sequences[slot] = last;
    }
    if (sequences.length === 0) this.#drop(group);
  }

  /**
   * Puts sequences together as the plan says. Sequences that the plan doesn't name stay where they are.
   * @returns false when the memory for a move isn't there; what was moved before stays moved
   */
  arrange(plan: readonly (readonly Sequence[])[]): boolean {
    const claimed = new Set<Group>();
    for (const members of plan) {
      const best = this.#homeFor(members);
      const home = claimed.has(best) ? this.#split(members) : best;
      if (home === undefined) return false;
      claimed.add(home);
      if (members.every((member) => home.sequences.includes(member))) continue;
      const bytes = (): number => {
        const { slots, capacity } = this.#sizeOf(home, members);
        return slots * capacity * this.#rowBytes - home.block.bytes;
      };
      if (!this.#reserve(bytes)) return false;
      this.#gather(home, members);
    }
    return true;
  }

  clear(): void {
    for (const group of [...this.#groups]) this.#drop(group);
  }

  /** The group that has most of the members' rows already. */
  #homeFor(members: readonly Sequence[]): Group {
    const rows = (group: Group): number =>
      group.sequences.reduce((sum, sequence) => sum + (members.includes(sequence) ? sequence.length + 1 : 0), 0);
    return this.#groups.reduce((best, group) => (rows(group) > rows(best) ? group : best));
  }

  /** A block for members whose group goes on without them. */
  #split(members: readonly Sequence[]): Group | undefined {
    const tokens = Math.max(...members.map(({ ids }) => ids.length));
    const slots = slotsFor(members.length);
    if (!this.#reserve(() => slots * this.bytesFor(tokens))) return undefined;
    const group: Group = { block: new KvBlock(this.#init.layout, slots, capacityFor(tokens)), sequences: [] };
    this.#groups.push(group);
    return group;
  }

  #sizeOf({ block, sequences }: Group, members: readonly Sequence[]): { slots: number; capacity: number } {
    const all = new Set([...sequences, ...members]);
    const tokens = Math.max(...members.map(({ ids }) => ids.length));
    return { slots: Math.max(block.slots, slotsFor(all.size)), capacity: capacityFor(tokens, block.capacity) };
  }

  #gather(home: Group, members: readonly Sequence[]): void {
    const { slots, capacity } = this.#sizeOf(home, members);
    const { block, sequences } = home;
    block.resize(slots, capacity, lengthsOf(sequences));
    for (const member of members) {
      if (sequences.includes(member)) continue;
      const { group, slot } = this.placeOf(member);
      block.take(group.block, slot, sequences.length, member.length);
      this.close(member);
      sequences.push(member);
    }
  }

  /**
   * Room for so many bytes more. Gives back what blocks hold beyond their sequences before it says no.
   * @param extra asked again after that: a block that has given back grows by more
   */
  #reserve(extra: () => number): boolean {
    const { bytesMax, onGrowth } = this.#init;
    if (this.bytes + extra() > bytesMax) this.#compact();
    const bytes = extra();
    if (this.bytes + bytes > bytesMax) return false;
    onGrowth(bytes);
    return true;
  }

  #compact(): void {
    for (const { block, sequences } of this.#groups) {
      const lengths = lengthsOf(sequences);
      const tokens = Math.max(1, ...lengths.map((length) => length + 1));
      block.resize(Math.max(1, sequences.length), Math.min(block.capacity, capacityFor(tokens)), lengths);
    }
  }

  #drop(group: Group): void {
    this.#groups.splice(this.#groups.indexOf(group), 1);
    group.block.close();
  }
}
