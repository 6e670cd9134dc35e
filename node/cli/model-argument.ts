// What a person writes where a model is to be brought: a file or folder of this machine, or a name.
import { resolve } from 'node:path';
import { parseModelName } from '../../models/model-name.ts';

/** The absolute path of what is written as a path, seen from where the command runs; undefined for a name. */
export function pathOf(text: string): string | undefined {
  const name = parseModelName(text);
  if (name !== undefined) return name.kind === 'path' ? resolve(name.path) : undefined;
  // A file beside: nothing of the hub ends so but behind a colon.
  return /\.onnx$/i.test(text) && !text.includes(':') ? resolve(text) : undefined;
}

/** `owner/name` of `https://hf.co/owner/name:q4@main` or of a short name; undefined where a pull would find nothing. */
export function hubIdOf(text: string): string | undefined {
  const name = parseModelName(text);
  return name?.kind === 'hub' ? name.id : undefined;
}

/** What a request calls the model of this id that was asked for so: the form that was named stays. */
export function requestName(text: string, id: string): string {
  const name = parseModelName(text);
  return name?.kind === 'hub' && name.variant !== undefined ? `${id}:${name.variant}` : id;
}

/** True where both mean one model: `smollm2` and `HuggingFaceTB/SmolLM2-135M-Instruct`, `a/b:q4` and `A/B`. */
export function namesSameModel(a: string, b: string): boolean {
  return canonical(a) === canonical(b);
}

const canonical = (text: string): string => (hubIdOf(text) ?? text).toLowerCase();
