// A request as far as its placement depends on it: what a dry run is made of. Called by MeshDispatcher.
import type { EncodeRequest, GenerateRequest, RunRequest } from '../../protocol/infer.ts';
import type { WorkRequests } from '../core/dispatcher.ts';
import { sizeOfEncode, sizeOfGenerate, sizeOfRun, type WorkSize } from '../core/work-size.ts';
import type { OutputLengths } from './output-lengths.ts';
import type { Placeable } from './placer.ts';

/** Nothing of it is begun. */
export function dryRun<Kind extends keyof WorkRequests>(
  kind: Kind,
  request: WorkRequests[Kind],
  lengths: OutputLengths,
): Placeable {
  const { model } = request;
  const sizes: Readonly<Record<keyof WorkRequests, () => WorkSize>> = {
    run: () => sizeOfRun(request as RunRequest),
    encode: () => sizeOfEncode(request as EncodeRequest),
    generate: () => {
      const generation = request as GenerateRequest;
      return sizeOfGenerate(generation, lengths.expected(model.digest, generation.maxNewTokens));
    },
  };
  const prefix = 'promptLength' in request && request.features === undefined ? request.ids : undefined;
  return { model, size: sizes[kind], prefix: () => prefix };
}
