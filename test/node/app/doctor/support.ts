// A healthy node for the doctor to look at, one layer of which a test then breaks.
import { linkSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { createDoctor, type DoctorComponents, type DoctorInit } from '../../../../node/app/doctor/doctor.ts';
import { packagePaths } from '../../../../node/app/paths.ts';
import { loadApiKey } from '../../../../node/config/api-key.ts';
import { loadSettings } from '../../../../node/config/settings.ts';
import { systemClock } from '../../../../node/core/clock.ts';
import type { DoctorCheck, DoctorReport } from '../../../../node/core/control.ts';
import { silentLog } from '../../../../node/core/log.ts';
import { temporaryFolder } from '../../config/temporary-folder.ts';
import { never, startPair, type TestNode } from '../../mesh/support.ts';

export const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));

export interface Patient {
  readonly home: string;
  readonly self: TestNode;
  readonly peer: TestNode;
  readonly components: DoctorComponents;
  readonly init: DoctorInit;
  /** One run, with what a test changes. */
  examine(change?: {
    readonly components?: Partial<DoctorComponents>;
    readonly init?: Partial<DoctorInit>;
  }): Promise<DoctorReport>;
}

/** A member of a mesh of two, with a data folder, and a port that answers in the place of an API. */
export async function healthyNode(): Promise<Patient> {
  const home = temporaryFolder();
  await loadApiKey({ folder: home, asked: undefined });
  const { a: self, b: peer } = await startPair();
  const port = await listener();
  const env = { WEFT_MDNS: 'false', WEFT_THREADS: '1', WEFT_MEMORY: '64MiB' };
  const components: DoctorComponents = {
    clock: systemClock,
    log: silentLog,
    mesh: self.mesh,
    membership: self.membership,
    addresses: { list: () => [] },
    wallOf: async () => Date.now(),
    settingsProblem: () => undefined,
  };
  const init: DoctorInit = {
    home,
    settings: loadSettings({ flags: {}, env, home }),
    paths: packagePaths(),
    key: self.key,
    version: '0.0.0',
    api: () => `http://127.0.0.1:${port}`,
  };
  return {
    home,
    self,
    peer,
    components,
    init,
    examine: (change = {}) => createDoctor({ ...components, ...change.components }, { ...init, ...change.init })(never),
  };
}

/** A port that takes connections, and says what it is told to. */
export async function listener(says?: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (says !== undefined) socket.end(says);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as { readonly port: number }).port;
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** `layer/name` of what is not as it should be. */
export function faults({ checks }: DoctorReport, ...also: readonly DoctorCheck['status'][]): readonly string[] {
  return checks
    .filter(({ status }) => status === 'failed' || also.includes(status))
    .map(({ layer, name }) => `${layer}/${name}`);
}

export function check(report: DoctorReport, layer: string, name?: string): DoctorCheck {
  const found = report.checks.find((one) => one.layer === layer && (name === undefined || one.name === name));
  if (found === undefined) throw new Error(`There is no check ${layer}/${name}: ${JSON.stringify(report.checks)}`);
  return found;
}

/** A package folder with the bundled models, each file a second name of the same bytes. Returns that of the models. */
export function packageCopy(): string {
  const copy = join(temporaryFolder(), 'models', 'bundled');
  link(packagePaths().bundledModels, copy);
  return copy;
}

function link(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) link(source, target);
    else linkSync(source, target);
  }
}

/** Puts other bytes in a file's place. A new file under the name: the original shares its bytes with the old one. */
export function replaceFile(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.new`, bytes);
  renameSync(`${path}.new`, path);
}
