// A view that throws takes only itself down: the frame stays, and says what to do.
import { Component, type ReactNode } from 'react';
import { Button } from '../components/button.tsx';
import { Failed } from '../components/failed.tsx';
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
    return (
      <div className="flex flex-col items-start gap-3 p-4 sm:p-6">
        <Failed
          title={text.common.failedView}
          error={this.state.error}
          onRetry={() => this.setState({ error: undefined })}
        />
        <Button onClick={() => location.reload()}>{text.common.reload}</Button>
      </div>
    );
  }
}
