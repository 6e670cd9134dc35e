// Short names for models that people ask for often. The coordinator and the CLI resolve names here.

/** Short name → the hub's repository id. */
const CATALOG: Readonly<Record<string, string>> = {
  minilm: 'Xenova/all-MiniLM-L6-v2',
  smollm2: 'HuggingFaceTB/SmolLM2-135M-Instruct',
};

/** Short names of a model, such as `smollm2`; empty where there are none. */
export function aliasesOf(id: string): readonly string[] {
  const wanted = id.toLowerCase();
  return Object.entries(CATALOG)
    .filter(([, target]) => target.toLowerCase() === wanted)
    .map(([alias]) => alias);
}

/**
 * The hub id that a person means: an id, a short name, or the last part of an id when only one model has it. Case
 * doesn't matter. Undefined when nothing fits, or more than one model does.
 * @param known ids beside the catalogue's own, such as those of the mesh's models
 * @example resolveModelId('SmolLM2') // 'HuggingFaceTB/SmolLM2-135M-Instruct'
 */
export function resolveModelId(name: string, known: readonly string[] = []): string | undefined {
  const wanted = name.trim().toLowerCase();
  if (Object.hasOwn(CATALOG, wanted)) return CATALOG[wanted];
  const ids = new Map([...Object.values(CATALOG), ...known].map((id) => [id.toLowerCase(), id]));
  const exact = ids.get(wanted);
  if (exact !== undefined) return exact;
  const byLastPart = [...ids].filter(([id]) => id.slice(id.indexOf('/') + 1) === wanted);
  return byLastPart.length === 1 ? byLastPart[0]?.[1] : undefined;
}
