// What the protocol knows, as data.

const named = (words) => words.trim().split(/\s+/);

/** The actions of the Send API. */
export const actions = named(`
  messages.create private_messages.create threads.create users.create
  status.mark_as_read typing.start typing.stop`);

/** The options of a source. */
export const options = named(`
  messages.unthreaded messages.no_title messages.text messages.html messages.attachments
  messages.allow_survey private_messages.no_title private_messages.text private_messages.html
  private_messages.attachments threads.no_content threads.text threads.html threads.attachments
  view.messaging messaging.typing_indicator messaging.queuing_update`);
