// A thread of the bench `route`: runs one scenario under one policy after the other, and posts what came of each.
import { parentPort } from 'node:worker_threads';
import { runScenario } from '../sim/experiment.ts';
import { scenarioNamed } from '../sim/scenarios.ts';
import type { RouteRun } from './route-runs.ts';

parentPort?.on('message', ({ scenario, seed, policy, untilS }: RouteRun) => {
  void runScenario(scenarioNamed(scenario), seed, policy, { untilS }).then((result) => parentPort?.postMessage(result));
});
