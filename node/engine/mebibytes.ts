// Sizes in messages for people: whole mebibytes, never fewer than there are.

export const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
