// The worker of the search. Material for MkDocs asks for such a class by this name where there is no
// server: browsers start no Worker from a file, so a hidden frame runs its script instead.

// Without the dashes of a flag, which would exclude the word from the results.
function withoutDashes(message) {
  if (typeof message.data !== "string") return message;
  return { ...message, data: message.data.replace(/(^|\s)-+(?=\w)/g, "$1") };
}

class FlagWorker extends Worker {
  postMessage(message) {
    super.postMessage(withoutDashes(message));
  }
}

class IFrameWorker extends EventTarget {
  onmessage = null;
  #frame = document.createElement("iframe");
  #ready;

  constructor(url) {
    super();
    this.#frame.hidden = true;
    document.body.append(this.#frame);
    const inner = this.#frame.contentWindow;
    inner.postMessage = (data) => this.#answer(data);
    inner.importScripts = (...urls) =>
      urls.reduce((before, next) => before.then(() => this.#load(next)), Promise.resolve());
    this.#ready = this.#load(url);
  }

  async postMessage(data) {
    await this.#ready;
    const inner = this.#frame.contentWindow;
    inner.dispatchEvent(new inner.MessageEvent("message", { data: withoutDashes(data) }));
  }

  terminate() {
    this.#frame.remove();
  }

  #load(url) {
    const script = this.#frame.contentDocument.createElement("script");
    script.src = url;
    this.#frame.contentDocument.body.append(script);
    return new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
  }

  #answer(data) {
    const event = new MessageEvent("message", { data });
    this.dispatchEvent(event);
    this.onmessage?.(event);
  }
}

window.Worker = FlagWorker;
if (location.protocol === "file:") Object.assign(window, { IFrameWorker, Worker: IFrameWorker });
