// Puts our own method in front of one of libp2p's parts, which are classes that offer no other seam. Used by the
// transport and the gate.

/**
 * The same object, except for these members.
 * @param target its methods go on seeing it as `this`, not the wrapper
 */
export function overriding<T extends object>(target: T, overrides: Partial<T>): T {
  return new Proxy(target, {
    get(inner, name) {
      if (Object.hasOwn(overrides, name)) return Reflect.get(overrides, name);
      const value: unknown = Reflect.get(inner, name);
      return typeof value === 'function' ? value.bind(inner) : value;
    },
  });
}
