// Which installed model a person means, of the forms of one id too. For the control API.
import type { InstalledModel } from '../../models/installed.ts';
import { parseModelName } from '../../models/model-name.ts';
import type { ModelStore } from '../../models/store.ts';
import { chooseVariant } from '../library/choose-variant.ts';

/** What suits this machine doesn't matter for what is here already. */
const ANY_MACHINE = { devices: [], memoryBytes: Number.MAX_SAFE_INTEGER };

/**
 * By digest, hub id, short name, or a name as `weft pull` takes it: `owner/name:q4` is the form that a pull of this name
 * would take. Undefined where none is installed.
 */
export function installedNamed(
  models: Pick<ModelStore, 'list' | 'find' | 'byDigest'>,
  name: string,
): InstalledModel | undefined {
  const found = models.byDigest(name) ?? models.find(name);
  if (found !== undefined) return found;
  const parsed = parseModelName(name);
  if (parsed?.kind !== 'hub') return undefined;
  const { id, variant } = parsed;
  if (variant === undefined) return models.find(id);
  const forms = models
    .list()
    .filter(({ ref }) => ref.id.toLowerCase() === id.toLowerCase())
    .map((model) => ({ model, manifest: model.manifest, digest: model.ref.digest, wholeCount: 0, signedMs: 0 }));
  return forms.length === 0 ? undefined : chooseVariant(forms, ANY_MACHINE, { id, variant }).form?.model;
}
