// Why a node takes no work of others, in a table's cell. Used by `weft peers` and `weft top`.
import type { PeersAnswer } from '../../protocol/api/control.ts';

type Peer = PeersAnswer['peers'][number];

const WORDS: Readonly<Record<NonNullable<Peer['withheld']>, string>> = { unlent: 'lends nothing', paused: 'paused' };

/** None where it takes some. */
export const withheldWords = ({ withheld }: Pick<Peer, 'withheld'>): readonly string[] =>
  withheld === undefined ? [] : [WORDS[withheld]];
