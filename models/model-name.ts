// What a person writes to name a model that is to be brought here: an id or page of the hub, a short name, a folder or a
// file. Pulls and the CLI parse it; nothing is looked up.
import { resolveModelId } from './catalog.ts';

/** A model of the hub. */
export interface HubName {
  readonly kind: 'hub';
  /** `owner/name`. */
  readonly id: string;
  /** Branch, tag or commit. @default the hub's main branch */
  readonly revision?: string;
  /** A file such as `onnx/model_q4.onnx`, its name, a folder, or a quantisation such as `q4`. @default the best for this machine */
  readonly variant?: string;
}

/** Something on this machine's disk. */
export interface PathName {
  readonly kind: 'path';
  /** As it was written: relative to the caller's folder, or below a home folder where it begins with `~`. */
  readonly path: string;
}

export type ModelName = HubName | PathName;

/** Longest text that is read: a path of the systems that Weft runs on. */
const TEXT_CHARS_MAX = 4096;

/** Of an owner or a name: the hub's own bound. */
const ID_PART_CHARS_MAX = 96;

/** Of a branch or a file: nobody writes longer ones. */
const PART_CHARS_MAX = 256;

/**
 * Reads what a person wrote:
 * `owner/name`, `owner/name:q4`, `owner/name:onnx/model_q4.onnx`, `owner/name@revision:q4`, the same behind `hf:`,
 * `hf.co/` or `huggingface.co/`; `https://huggingface.co/owner/name` and its pages of a branch or a graph; a short name,
 * with or without a variant; a folder or a file, where it begins with `/`, `./`, `../`, `~` or a drive, or ends in
 * `.onnx` behind a folder.
 * @returns undefined for what is none of them, or can't be meant: control characters, steps upwards in an id, too long
 */
export function parseModelName(text: string): ModelName | undefined {
  const name = text.trim();
  if (name === '' || name.length > TEXT_CHARS_MAX || /\p{Cc}/u.test(name) || !name.isWellFormed()) return undefined;
  const page = /^(?:https?:\/\/(?:www\.)?)?(?:huggingface\.co|hf\.co)\/(.*)$/i.exec(name)?.[1];
  if (page !== undefined) return parsePage(page);
  const marked = /^hf:(?:\/\/)?(.*)$/i.exec(name)?.[1];
  if (marked !== undefined) return parseHub(marked);
  if (looksLikePath(name)) return { kind: 'path', path: name };
  return name.includes('/') ? parseHub(name) : parseShort(name);
}

/** What {@link parseModelName} reads as the same. */
export function formatModelName(name: ModelName): string {
  if (name.kind === 'path') return name.path;
  const { id, revision, variant } = name;
  const text = `${id}${revision === undefined ? '' : `@${revision}`}${variant === undefined ? '' : `:${variant}`}`;
  // Marked where it would be read as something else.
  return looksLikePath(text) || /^(huggingface|hf)\.co\//i.test(text) ? `hf:${text}` : text;
}

function looksLikePath(name: string): boolean {
  if (/^([/\\~]|\.\.?([/\\]|$)|[a-z]:[/\\])/i.test(name)) return true;
  // A colon stands before a variant: `owner/name:onnx/model.onnx` is a graph of the hub.
  return /[/\\].*\.onnx$/i.test(name) && !name.includes(':');
}

/** `owner/name`, and behind it a variant, a revision or both, in either order. */
function parseHub(text: string): HubName | undefined {
  const [, id = '', first, second] = /^([^@:]+)((?:[@:][^@:]+)?)((?:[@:][^@:]+)?)$/.exec(text) ?? [];
  const extras = [first, second].filter((extra) => extra !== undefined && extra !== '');
  const [revisions, variants] = ['@', ':'].map((mark) => extras.filter((extra) => extra?.startsWith(mark)));
  if ((revisions?.length ?? 0) > 1 || (variants?.length ?? 0) > 1) return undefined;
  return hubName(id, revisions?.[0]?.slice(1), variants?.[0]?.slice(1));
}

/** What follows the hub's host: a name as {@link parseHub} takes it, or the way to a page. */
function parsePage(rest: string): HubName | undefined {
  const way = rest.replace(/[?#].*$/, '').replace(/\/+$/, '');
  const parts = way.split('/').map(decoded);
  if (parts.includes(undefined)) return undefined;
  const [owner = '', name = '', page, revision, ...path] = parts;
  if (page === undefined || name.includes('@') || name.includes(':')) return parseHub(way);
  const id = `${owner}/${name}`;
  if (revision === undefined || !/^(tree|blob|resolve|raw)$/.test(page)) return undefined;
  if (path.length === 0) return hubName(id, revision, undefined);
  const file = path.join('/');
  // The page of a folder asks for what is in it; that of a text file for no variant at all.
  return hubName(id, revision, page === 'tree' || file.endsWith('.onnx') ? file : undefined);
}

/** Undefined where a part of an address isn't what it is encoded as. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** A name of the catalogue: `smollm2`, `qwen3:0.6b`, and either with a variant or a revision. */
function parseShort(text: string): HubName | undefined {
  const whole = resolveModelId(text);
  if (whole !== undefined) return { kind: 'hub', id: whole };
  // From the end, so that the size behind a colon stays with its name. A variant and a revision have one mark each.
  for (const at of [...text.matchAll(/[:@]/g)]
    .map(({ index }) => index)
    .slice(-2)
    .reverse()) {
    const id = resolveModelId(text.slice(0, at));
    if (id !== undefined) return parseHub(id + text.slice(at));
  }
  return undefined;
}

/** Undefined unless every part is what it can be. */
function hubName(id: string, revision: string | undefined, variant: string | undefined): HubName | undefined {
  if (!isModelId(id) || !(revision === undefined || isRevision(revision))) return undefined;
  if (!(variant === undefined || isVariant(variant))) return undefined;
  return {
    kind: 'hub',
    // In the catalogue's own spelling: the hub doesn't mind the case, folders and digests do.
    id: resolveModelId(id) ?? id,
    ...(revision !== undefined && { revision }),
    ...(variant !== undefined && { variant }),
  };
}

/** `owner/name` as the hub allows it. */
export function isModelId(id: string): boolean {
  const parts = id.split('/');
  return parts.length === 2 && parts.every(isIdPart);
}

function isIdPart(part: string): boolean {
  return (
    part.length <= ID_PART_CHARS_MAX && /^\w([\w.-]*\w)?$/.test(part) && !/--|\.\./.test(part) && !part.endsWith('.git')
  );
}

/** What Git takes as the name of a branch or a commit, in ASCII. */
function isRevision(revision: string): boolean {
  return revision.length <= PART_CHARS_MAX && isRelative(revision) && !/\.lock(\/|$)/.test(revision);
}

function isVariant(variant: string): boolean {
  return variant.length <= PART_CHARS_MAX && isRelative(variant);
}

/** Words between single slashes that lead nowhere upwards. */
function isRelative(path: string): boolean {
  return path.split('/').every((part) => /^[\w+][\w.+-]*$/.test(part) && !part.includes('..'));
}
