// What of a request must stay on this node, and where its graph may be cut: the headers x-weft-raw, which every endpoint takes
// that runs models, and x-weft-cut, which those of graphs take. Read by the gateway before anything else is done for the
// request.
import type { IncomingHttpHeaders } from 'node:http';
import {
  CUT_HEADER,
  type CutWords,
  LOCAL_NAMES_MAX,
  parseCut,
  parseRaw,
  RAW_HEADER,
  type RawLocal,
} from '../../protocol/api/locality.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { NodeId } from '../../protocol/ids.ts';

export interface Locality {
  /** @default 'auto' */
  readonly cut?: CutWords;
  /** @default nothing must stay */
  readonly rawLocal?: RawLocal;
}

export interface NamedNode {
  readonly node: NodeId;
  readonly name: string;
}

/**
 * @param graph the endpoint takes tensors for a graph. Of the others everything stays that is to stay: no part of their work
 *   is done elsewhere, as what follows from a few words often tells the words
 * @param nodes this one and its peers, which may be named
 * @throws WeftError `bad_request`, with the name of the header
 */
export function localityOf(headers: IncomingHttpHeaders, graph: boolean, nodes: () => readonly NamedNode[]): Locality {
  const { [RAW_HEADER]: raw, [CUT_HEADER]: cut } = headers;
  const rawLocal = raw === undefined ? undefined : rawOf(String(raw), graph);
  if (graph) {
    return {
      ...(cut !== undefined && { cut: cutOf(String(cut), nodes) }),
      ...(rawLocal !== undefined && { rawLocal }),
    };
  }
  if (cut !== undefined) throw invalid(CUT_HEADER, 'is for requests of tensors', 'Leave the header out.');
  return rawLocal === undefined ? {} : { cut: 'never', rawLocal };
}

function rawOf(text: string, graph: boolean): RawLocal {
  const raw = parseRaw(text);
  if (raw === true || (raw !== undefined && graph)) return raw;
  throw raw === undefined
    ? invalid(RAW_HEADER, `must be "local"${graph ? ', or "local:" and names of inputs by commas' : ''}`, CORRECT)
    : invalid(RAW_HEADER, 'names inputs, which only requests of tensors have', 'Write "local" alone.');
}

function cutOf(text: string, nodes: () => readonly NamedNode[]): CutWords {
  const cut = parseCut(text);
  if (typeof cut === 'object' && cut.on !== undefined)
    return { ...cut, on: cut.on.map((name) => nodeOf(name, nodes())) };
  if (cut !== undefined) return cut;
  const wanted = `must be "auto", "never", or at most ${LOCAL_NAMES_MAX} cut points by commas, each a number or a tensor; ";on=" and nodes, ";steady" and ";compress" may follow`;
  throw invalid(CUT_HEADER, wanted, CORRECT);
}

function nodeOf(name: string, nodes: readonly NamedNode[]): NodeId {
  const found = nodes.filter((one) => one.node === name || one.name === name);
  const [one] = found;
  if (one !== undefined && found.length === 1) return one.node;
  const problem = one === undefined ? 'which this node knows no node by' : 'which several nodes have';
  const shown = JSON.stringify(name.slice(0, NODE_NAME_SHOWN_MAX));
  throw invalid(CUT_HEADER, `names ${shown}, ${problem}`, 'Name nodes as `weft peers` shows them, or by id.');
}

/** Characters of a name in an error. */
const NODE_NAME_SHOWN_MAX = 64;

const CORRECT = 'Correct the header, or leave it out; percent-encode commas in names.';

function invalid(param: string, wanted: string, remedy: string): WeftError {
  return new WeftError({ code: 'bad_request', message: `The header "${param}" ${wanted}.`, remedy, facts: { param } });
}
