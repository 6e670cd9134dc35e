// The engine on the bundled models, with real runner processes.
import { engineCompliance } from '../../compliance/engine.ts';
import { minilm, smollm, startEngine } from './support.ts';

engineCompliance('SupervisedEngine', async () => {
  const [encoder, generator] = await Promise.all([minilm(), smollm()]);
  const started = await startEngine([encoder, generator]);
  return {
    engine: started.engine,
    encoder: encoder.ref,
    generator: generator.ref,
    close: () => started[Symbol.asyncDispose](),
  };
});
