// A part of the pages in a file of its own that is loaded when it is first shown. React.lazy alone keeps a failure for good: here a file
// that could not be had is asked for again once the failure is forgotten.
import { type ComponentType, lazy, type ReactNode } from 'react';

const failures = new Set<() => void>();

/** @param load imports the file and takes the part out of it */
export function lazyFile<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  const begin = () =>
    lazy(async () => {
      try {
        return { default: await load() };
      } catch (error) {
        // Not at once: React shows it again to learn of the failure, which would load it for ever.
        failures.add(() => {
          Part = begin();
        });
        throw error;
      }
    });
  let Part: ComponentType<Props> = begin();
  return function LazyFile(props: Props): ReactNode {
    return <Part {...props} />;
  };
}

/** What could not be loaded is loaded anew when it is shown again. */
export function forgetFailedFiles(): void {
  for (const forget of failures) forget();
  failures.clear();
}
