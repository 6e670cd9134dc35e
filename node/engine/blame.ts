// Whom the death of a runner is blamed on: the model that was being loaded, the requests that were at work, or the device.
// Called by the runner slot before anybody is told.
import type { WeftError } from '../../protocol/errors.ts';
import type { DeviceChooser } from './devices/chooser.ts';
import type { Flight } from './flights.ts';
import type { ModelState } from './model-state.ts';

/**
 * A load stands still whatever else the runner has, so when there is one, it is what the runner died by. Of what happens on
 * another device than the processor that device is guilty first, and the model only if it goes on on the processor.
 * @param models all of the runner; those that are to be quarantined get their reason
 */
export function blame(
  models: readonly ModelState[],
  flights: readonly Pick<Flight, 'model' | 'lane' | 'requestIds'>[],
  error: WeftError,
  devices: Pick<DeviceChooser, 'failed'>,
): void {
  const how = error.facts.how ?? error.message;
  const takenBytes = Number(error.facts.residentBytes ?? 0);
  const atWork = flights.filter(({ model }) => model.phase !== 'unloading');
  const loads = atWork.filter(({ lane }) => lane === 'load');
  for (const { model } of loads) {
    // It was promised too little: the next load has more room, or is refused.
    if (takenBytes > 0) model.loadPeakBytes = Math.max(model.loadPeakBytes, takenBytes - occupied(models, model));
    else if (isOnProcessor(model)) model.reason ??= model.ledger.diedAtLoad(how);
  }
  if (loads.length > 0) return;
  for (const model of models) {
    // Several batches of one request are one death of it.
    const ids = new Set(atWork.flatMap((flight) => (flight.model === model ? flight.requestIds : [])));
    const reason = model.ledger.diedWorking(ids, how);
    if (reason === undefined) continue;
    if (isOnProcessor(model)) {
      model.reason ??= reason;
    } else {
      devices.failed(model.digest, model.choice, reason);
      // It begins anew on the processor.
      model.ledger.worked();
    }
  }
}

const isOnProcessor = ({ choice }: ModelState): boolean => choice.provider === 'cpu';

/** What the other models of the process take. */
function occupied(models: readonly ModelState[], but: ModelState): number {
  return models.reduce((sum, model) => (model === but ? sum : sum + model.occupiedBytes), 0);
}
