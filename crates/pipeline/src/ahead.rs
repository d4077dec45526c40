//! Rows that are read by a task of their own, while those before them are worked on.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Error;

/// Rows in their order: one page is worked on, one waits, one is being read.
pub(crate) struct ReadAhead<T> {
    page: VecDeque<T>,
    pages: mpsc::Receiver<Result<Vec<T>, Error>>,
    reading: JoinHandle<()>,
}

impl<T: Send + 'static> ReadAhead<T> {
    /// `read` is given where to go on and gives a page with where it ended, until there is nothing more.
    pub(crate) fn new<C, F>(first: C, read: impl Fn(C) -> F + Send + 'static) -> Self
    where
        C: Send + 'static,
        F: Future<Output = Result<Option<(Vec<T>, C)>, Error>> + Send,
    {
        let (send, pages) = mpsc::channel(1);
        let reading = tokio::spawn(async move {
            let mut cursor = first;
            loop {
                let page = match read(cursor).await {
                    Ok(Some((page, next))) => {
                        cursor = next;
                        Ok(page)
                    }
                    Ok(None) => return,
                    Err(error) => {
                        let _ = send.send(Err(error)).await;
                        return;
                    }
                };
                // Nobody wants any more.
                if send.send(page).await.is_err() {
                    return;
                }
            }
        });
        Self { page: VecDeque::new(), pages, reading }
    }

    /// The next row, which stays the next one; `None` after the last.
    pub(crate) async fn peek(&mut self) -> Result<Option<&T>, Error> {
        while self.page.is_empty() {
            match self.pages.recv().await {
                Some(page) => self.page = page?.into(),
                None => return Ok(None),
            }
        }
        Ok(self.page.front())
    }

    /// What is read of the rows, at least one; `None` after the last.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        self.peek().await?;
        let page = std::mem::take(&mut self.page);
        Ok((!page.is_empty()).then(|| page.into()))
    }

    /// The next row; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, Error> {
        self.peek().await?;
        Ok(self.page.pop_front())
    }
}

impl<T> Drop for ReadAhead<T> {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
