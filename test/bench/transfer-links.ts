// Shaped links in a process of their own: shaping 1 Gbit/s takes a third of a core.
import { ShapedLink } from '../support/shaped-link.ts';
import type { End } from './transfer-child.ts';
import type { Roles } from './transfer-process.ts';

export async function openLinks({ links }: Roles['links']): Promise<End> {
  for (const { port, targetPort, bytesPerSecond, delayMs } of links) {
    const wire = { bytesPerSecond, delayMs };
    await ShapedLink.start({ port, target: { host: '127.0.0.1', port: targetPort }, up: wire, down: wire });
  }
  return { address: '' };
}
