// The control API's part about the models of this node's disk: pull, import, verify, clean up, and what lies where on the
// mesh. A client that goes away ends its wait; what has come by then is kept.
import { isAbsolute } from 'node:path';
import {
  type CancelAnswer,
  CancelRequest,
  type CleanUpAnswer,
  CleanUpRequest,
  ImportRequest,
  PullRequest,
  VerifyRequest,
} from '../../protocol/api/control.ts';
import { WeftError } from '../../protocol/errors.ts';
import type { Library } from '../core/library.ts';
import type { Endpoint } from './exchange.ts';

export interface LibraryComponents {
  /** Asked for at each request. */
  readonly library: () => Library;
}

/** The endpoints. */
export function library({ library }: LibraryComponents): readonly Endpoint[] {
  return [
    { method: 'GET', url: '/api/v1/models/mesh', handle: () => ({ models: library().meshModels() }) },
    { method: 'GET', url: '/api/v1/catalogue', handle: () => ({ models: library().catalogue() }) },
    { method: 'GET', url: '/api/v1/transfers', handle: () => ({ transfers: library().transfers() }) },
    {
      method: 'POST',
      url: '/api/v1/transfers/cancel',
      async handle(exchange): Promise<CancelAnswer> {
        const { id } = await exchange.readJson(CancelRequest);
        return { id, cancelled: library().cancel(id) };
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/pull',
      lasting: true,
      async handle(exchange) {
        return library().pull(await exchange.readJson(PullRequest), { signal: exchange.signal });
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/import',
      lasting: true,
      async handle(exchange) {
        const { path, id, task, licence } = await exchange.readJson(ImportRequest);
        if (!isAbsolute(path)) throw relative();
        const request = {
          path,
          ...(id === undefined ? {} : { id }),
          ...(task === undefined ? {} : { task }),
          ...(licence === undefined ? {} : { licence }),
        };
        return library().import(request, { signal: exchange.signal });
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/verify',
      lasting: true,
      async handle(exchange) {
        const { model, repair = true } = await exchange.readJson(VerifyRequest);
        return { models: await library().verify(model, { repair, signal: exchange.signal }) };
      },
    },
    {
      method: 'POST',
      url: '/api/v1/models/gc',
      async handle(exchange): Promise<CleanUpAnswer> {
        const { dryRun = false, partial = false } = await exchange.readJson(CleanUpRequest);
        const { freedBytes, removed } = await library().cleanUp({ dryRun, partial });
        const { usedBytes, quotaBytes, freeBytes } = await library().storage();
        const quota = quotaBytes === undefined ? {} : { quotaBytes };
        return { freedBytes, removed: [...removed], storage: { usedBytes, ...quota, freeBytes } };
      },
    },
  ];
}

/** The daemon's working folder is not that of whoever asks. */
function relative(): WeftError {
  return new WeftError({
    code: 'bad_request',
    message: 'The path is not absolute.',
    remedy: 'Send the whole path; `weft import` makes it so.',
    facts: { param: 'path' },
  });
}
