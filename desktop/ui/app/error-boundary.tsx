// A view that throws takes only itself down: the frame stays, and says what to do.
import { Component, type ReactNode, useEffect } from 'react';
import { Button } from '../components/button.tsx';
import { Failed } from '../components/failed.tsx';
import { forgetFailedFiles } from '../components/lazy-file.tsx';
import { forgetUnseen } from '../data/store.ts';
import { text } from '../text/en.ts';

interface Props {
  /** Another one starts anew. */
  readonly resetKey: string;
  readonly children: ReactNode;
}

interface State {
  readonly error: unknown;
  readonly resetKey: string;
}

export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: undefined, resetKey: this.props.resetKey };

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { error };
  }

  static getDerivedStateFromProps(props: Props, state: State): State | null {
    return props.resetKey === state.resetKey ? null : { error: undefined, resetKey: props.resetKey };
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return <FailedView error={this.state.error} onRetry={() => this.setState({ error: undefined })} />;
  }
}

function FailedView({ error, onRetry }: { readonly error: unknown; readonly onRetry: () => void }): ReactNode {
  // After the view is gone: its answers are seen by nobody then. One that returns to it need not press anything.
  useEffect(forget, []);
  return (
    <div className="flex flex-col items-start gap-3 p-4 sm:p-6">
      <Failed
        title={text.common.failedView}
        error={error}
        onRetry={() => {
          // What failed since.
          forget();
          onRetry();
        }}
      />
      <Button onClick={() => location.reload()}>{text.common.reload}</Button>
    </div>
  );
}

/** The same answers and files would only fail again. */
function forget(): void {
  forgetFailedFiles();
  forgetUnseen();
}
