// Whether the manifest that a peer sent is that of the files that came with it, as the caged process reads them. Pure.
import { canonicalJson, type Manifest } from '../../models/manifest.ts';
import { WeftError } from '../../protocol/errors.ts';

/** What a run relies on: a manifest that says another thing of its graph is a lie, whoever signed it. */
const OF_THE_GRAPH = ['graph', 'graphs', 'inputs', 'outputs'] as const;

/**
 * Compares what was said with what the files are. What else the two say, such as the licence, may differ: it was made by
 * another version, or named by whoever imported the model.
 * @param said the manifest that peers have
 * @param made the one that was made here, of the same files
 * @throws WeftError `model_corrupt` that says in what they differ
 */
export function compareManifests(said: Manifest, made: Manifest): void {
  const files = new Map(said.files.map((file) => [file.path, file]));
  for (const file of made.files) {
    const other = files.get(file.path);
    if (other === undefined) throw differs(said, `it leaves out "${file.path}", which its graph or its settings need`);
    const same =
      other.sha256 === file.sha256 &&
      other.sizeBytes === file.sizeBytes &&
      (other.chunks.sizeBytes !== file.chunks.sizeBytes ||
        canonicalJson(other.chunks.sha256) === canonicalJson(file.chunks.sha256));
    if (!same) throw differs(said, `"${file.path}" is another file`);
  }
  for (const field of OF_THE_GRAPH) {
    if (canonicalJson(said[field] ?? null) !== canonicalJson(made[field] ?? null)) {
      throw differs(said, `its "${field}" are not those of the graph`);
    }
  }
}

const differs = ({ id }: Manifest, what: string): WeftError =>
  new WeftError({
    code: 'model_corrupt',
    message: `The manifest of ${id} is not that of its files: ${what}.`,
    remedy: 'Take the model from another source: it was made by someone who errs, or lies.',
  });
