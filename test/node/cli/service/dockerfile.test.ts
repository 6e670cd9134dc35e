// The container's recipe, read instruction by instruction: there is no Docker where the tests run.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import manifest from '../../../../package.json' with { type: 'json' };

const ROOT = new URL('../../../../', import.meta.url);
const text = readFileSync(new URL('Dockerfile', ROOT), 'utf8');

/** Instructions in order, continued lines joined, comments left out. */
const instructions = text
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    return { name, rest: rest.replace(/ +/g, ' ').trim() };
  });
const from = instructions.map(({ name }) => name).lastIndexOf('FROM');
/** Of the image that people run; what came before it are its tools. */
const final = instructions.slice(from);
const all = (name: string, within = instructions) => within.filter((one) => one.name === name).map(({ rest }) => rest);

describe('the Dockerfile', () => {
  it('has no line that is no instruction', () => {
    const known = 'ARG FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT'.split(' ');
    for (const { name } of instructions) expect(known).toContain(name);
    expect(text.startsWith('# syntax=docker/dockerfile:1\n')).toBe(true);
  });

  it('runs on the Node that is pinned everywhere', () => {
    const versions = new Set(Object.values(manifest.optionalDependencies));
    expect(versions.size).toBe(1);
    expect(all('ARG')).toEqual([`NODE_IMAGE=node:${[...versions][0]}-slim`]);
    for (const base of all('FROM')) expect(base).toMatch(/^\$\{NODE_IMAGE\}( AS \w+)?$/);
  });

  it('carries what a server needs, and no tools', () => {
    expect(all('COPY', final)).toEqual(['--from=install /opt/weft /opt/weft']);
    const install = all('RUN').find((line) => line.includes('npm install')) ?? '';
    for (const flag of ['--omit=dev', '--omit=optional', '--ignore-scripts']) expect(install).toContain(flag);
    expect(install).toContain('weft service prune');
    expect(all('RUN', final).join()).not.toMatch(/npm|apt/);
  });

  it('runs as a user without rights, whose number is fixed, on a volume of its own', () => {
    expect(all('USER', final)).toEqual(['9338:9338']);
    const setup = all('RUN', final).join();
    expect(setup).toMatch(/--uid 9338/);
    expect(setup).toMatch(/install -d -m 700 -o weft -g weft \/data/);
    expect(all('VOLUME', final)).toEqual(['/data']);
    expect(all('ENV', final).join()).toContain('WEFT_HOME=/data');
    // What is made after VOLUME is lost.
    const names = final.map(({ name }) => name);
    expect(names.indexOf('VOLUME')).toBeGreaterThan(names.indexOf('RUN'));
  });

  it('holds no key, says its ports, tells whether it is well, and gets signals itself', () => {
    expect(text).not.toMatch(/^ENV.*WEFT_API_KEY|^ARG.*KEY/m);
    expect(all('EXPOSE', final)).toEqual(['9338 9339']);
    expect(all('HEALTHCHECK', final).join()).toMatch(/CMD weft status .*\|\| exit 1$/);
    // The form of a list: no shell stands between the signal and Weft.
    expect(JSON.parse(all('ENTRYPOINT', final).join())).toEqual(['weft', 'serve']);
  });

  it('leaves out of its sources what is not packed', () => {
    const ignored = readFileSync(new URL('.dockerignore', ROOT), 'utf8').split('\n');
    for (const folder of ['.git', '**/node_modules', 'dist', 'test']) expect(ignored).toContain(folder);
    for (const packed of ['bin', 'models', 'node', 'protocol', 'scripts', 'package.json', 'LICENSE', 'README.md']) {
      expect(ignored).not.toContain(packed);
    }
  });
});
