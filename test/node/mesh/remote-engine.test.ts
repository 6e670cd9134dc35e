// The compliance suite on a peer's engine: two meshes on loopback, real runner processes behind the one.
import { RemoteEngine } from '../../../node/mesh/remote-engine.ts';
import { serveEngine } from '../../../node/mesh/serve-engine.ts';
import { engineCompliance } from '../../compliance/engine.ts';
import { minilm, smollm, startEngine } from '../engine/support.ts';
import { allowAll, makeKey, startPair, stopAll } from './support.ts';

engineCompliance('RemoteEngine', async () => {
  const [encoder, generator] = await Promise.all([minilm(), smollm()]);
  const started = await startEngine([encoder, generator], { exact: true });
  const key = await makeKey();
  const { b } = await startPair({
    key,
    prepare: (mesh) => serveEngine({ mesh, engine: started.engine, policy: allowAll }),
  });
  return {
    engine: new RemoteEngine({ mesh: b.mesh }, { node: key.node }),
    encoder: encoder.ref,
    generator: generator.ref,
    exact: true,
    close: async () => {
      await stopAll();
      await started[Symbol.asyncDispose]();
    },
  };
});
