// Counts what a processor computes with. Pure.

/**
 * Cores in the text of Linux's /proc/cpuinfo: threads of one core have its pair of package and core. Undefined where it
 * names none (virtual machines, most ARM).
 */
export function parseCoreCount(text: string): number | undefined {
  const cores = new Set<string>();
  for (const block of text.split(/\n\s*\n/)) {
    const physical = /^physical id\s*:\s*(\d+)\s*$/m.exec(block)?.[1];
    const core = /^core id\s*:\s*(\d+)\s*$/m.exec(block)?.[1];
    if (physical !== undefined && core !== undefined) cores.add(`${physical} ${core}`);
  }
  return cores.size > 0 ? cores.size : undefined;
}
