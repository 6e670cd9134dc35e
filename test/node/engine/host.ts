// A daemon in small, for the tests that kill one: an engine whose runner is busy with a stream. Prints the runner's pid.
// Arguments: the folder for pids. Ends only by being killed, or after a minute.
import { systemClock } from '../../../node/core/clock.ts';
import { silentLog } from '../../../node/core/log.ts';
import { SupervisedEngine } from '../../../node/engine/supervised-engine.ts';
import { FRANCE, generateRequest, workOptions } from '../../compliance/engine-requests.ts';
import { engineInit, silentTelemetry, smollm } from './support.ts';

const model = await smollm();
const engine = new SupervisedEngine(
  { clock: systemClock, log: silentLog, telemetry: silentTelemetry },
  engineInit([model], process.argv[2] ?? ''),
);
await engine.start();
let announced = false;
setTimeout(() => process.exit(1), 60_000);
await engine.generate(generateRequest(model.ref, FRANCE, { maxNewTokens: 8_000 }), workOptions(), () => {
  if (announced) return;
  announced = true;
  process.stdout.write(`${engine.loaded()[0]?.runnerPid}\n`);
});
