// The engine on the bundled models, with real runner processes.
import { engineCompliance } from '../../compliance/engine.ts';
import { minilm, smollm, startEngine } from './support.ts';

for (const exact of [false, true]) {
  engineCompliance(exact ? 'SupervisedEngine, exact' : 'SupervisedEngine', async () => {
    const [encoder, generator] = await Promise.all([minilm(), smollm()]);
    const started = await startEngine([encoder, generator], { exact });
    return {
      engine: started.engine,
      encoder: encoder.ref,
      generator: generator.ref,
      exact,
      close: () => started[Symbol.asyncDispose](),
    };
  });
}
