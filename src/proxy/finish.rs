use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::worker::Worker;

/// Work that is finished even if nobody waits for it any more: when WeChat hangs up, the bot's answer is
/// awaited all the same.
pub(super) struct Finish<T: 'static> {
    work: Option<Pin<Box<dyn Future<Output = T>>>>,
    worker: Rc<Worker>,
}

impl<T> Finish<T> {
    pub(super) fn new(work: impl Future<Output = T> + 'static, worker: Rc<Worker>) -> Self {
        Self { work: Some(Box::pin(work)), worker }
    }
}

impl<T> Future for Finish<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let poll = work.as_mut().poll(cx);
        if poll.is_ready() {
            self.work = None;
        }
        poll
    }
}

impl<T> Drop for Finish<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.worker.finish_apart(work);
        }
    }
}
