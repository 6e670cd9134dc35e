// What the first run asks, and what its answers ask of the node. Pure.

export interface Answers {
  readonly name: string;
  readonly mesh: 'begin' | 'join';
  readonly ticket: string;
  readonly sharing: 'share' | 'use';
}

export type Question = 'name' | 'mesh' | 'sharing';

/** Alone in a new mesh there is nobody to share with: then that is not asked. */
export const questions = ({ mesh }: Pick<Answers, 'mesh'>): readonly Question[] =>
  mesh === 'join' ? ['name', 'mesh', 'sharing'] : ['name', 'mesh'];

/**
 * The settings to write. `lend` in any case, also where it stays as it is: a running node takes it over at once, and that it stands in
 * the file says from then on that this node has been set up.
 */
export function settingsOf({ name, mesh, sharing }: Answers, nameIsFree: boolean): Readonly<Record<string, unknown>> {
  const uses = mesh === 'join' && sharing === 'use';
  return {
    ...(nameIsFree ? { name: name.trim() } : {}),
    lend: !uses,
  };
}
