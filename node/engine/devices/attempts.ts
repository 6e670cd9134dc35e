// Loads a model on the first device that takes it. Called by the runner's slot for every load.
import { toWeftError } from '../../../protocol/errors.ts';
import type { DeviceChoice } from './choose.ts';
import type { DeviceChooser, ModelToPlace } from './chooser.ts';

/** What a runner says of a load. */
export interface LoadedOn {
  /** What the model is on. */
  readonly provider: string;
  /** Why that isn't what was asked for; '' where it is. */
  readonly fallbackReason: string;
}

export interface Placed<Loaded> {
  readonly loaded: Loaded;
  /** Whose memory it takes: the processor's where the runner fell back. */
  readonly pool: string;
  /** Why it isn't the device that was asked for, or that was the best; undefined where it is. */
  readonly fallbackReason: string | undefined;
}

/**
 * Tries the devices of the plan in their order. One without room is passed over; one that took its runner with it, or
 * on which the runner fell back, is not tried again for this model. After a lost runner the processor comes next:
 * another device has the same driver.
 * @param load starts a runner where there is none, and loads the model there
 * @throws WeftError what `load` threw on the processor, or anywhere for a reason that isn't the device's
 */
export async function loadWhereItWorks<Loaded extends LoadedOn>(
  chooser: Pick<DeviceChooser, 'choose' | 'failed'>,
  model: ModelToPlace,
  load: (choice: DeviceChoice) => Promise<Loaded>,
): Promise<Placed<Loaded>> {
  const plan = await chooser.choose(model);
  const processor = plan.order.at(-1) as DeviceChoice;
  let fallbackReason = plan.fallbackReason;
  for (const choice of plan.order.slice(0, -1)) {
    try {
      const loaded = await load(choice);
      if (loaded.provider === choice.provider) return { loaded, pool: choice.pool, fallbackReason: undefined };
      const reason = loaded.fallbackReason || `${choice.provider}: it could not be used`;
      chooser.failed(model.digest, choice, reason);
      return { loaded, pool: processor.pool, fallbackReason: reason };
    } catch (thrown) {
      const error = toWeftError(thrown);
      if (error.code === 'out_of_memory') {
        fallbackReason = `${choice.provider}: ${error.message}`;
        continue;
      }
      if (error.code !== 'runner_lost' && error.code !== 'runner_timeout') throw error;
      fallbackReason = `${choice.provider}: ${error.message}`;
      chooser.failed(model.digest, choice, fallbackReason);
      break;
    }
  }
  return { loaded: await load(processor), pool: processor.pool, fallbackReason };
}
