// How an input that comes in parts is named on the way to a runner: the daemon writes them, the runner joins them.

/** Stands between the name of an input and the number of a part that goes on with it. Graphs with it in a name share no run. */
const PART = '\0';

/** The name of an input's part. @param part 0 = the first one, which has the input's own name */
export const partName = (name: string, part: number): string => (part === 0 ? name : `${name}${PART}${part}`);

/** The input that a part belongs to. */
export const inputOf = (partName: string): string => partName.split(PART, 1)[0] ?? '';

/** Whether a name is that of a part that goes on with an input. */
export const isPart = (name: string): boolean => name.includes(PART);
