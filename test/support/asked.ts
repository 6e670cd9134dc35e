// What a daemon answers to its command line and to its control API, where anything but success fails the test.
import { expect } from 'vitest';
import type { Daemon } from './daemon.ts';

/** @returns what the command printed */
export async function weft(daemon: Pick<Daemon, 'weft'>, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.weft(...args);
  expect(code, stderr).toBe(0);
  return stdout;
}

export async function get<Answer>({ url, key }: Pick<Daemon, 'url' | 'key'>, path: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: { authorization: `Bearer ${key}` } });
  expect(response.status, path).toBe(200);
  return (await response.json()) as Answer;
}
