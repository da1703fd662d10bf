// Shows who is signed in. The hub's session cookie is not for us to read, so its own home page is
// asked, as the browser's user; its <body> names them. A redirect (to the login) means: nobody.
const signedIn = async () => {
  const answer = await fetch("/hub/home", { redirect: "manual", credentials: "same-origin" });
  if (!answer.ok) return null;
  const named = (await answer.text()).match(/<body[^>]*\sdata-cerro-user="([^"]*)"/);
  // Only the name is parsed, to undo its escapes: the whole page brings styles that our policy refuses.
  return named && new DOMParser().parseFromString(named[1], "text/html").body.textContent;
};

signedIn().then((name) => {
  if (!name) return;
  for (const element of document.querySelectorAll("[data-user]")) element.textContent = name;
  for (const element of document.querySelectorAll("[data-signed-in]")) element.hidden = false;
  for (const element of document.querySelectorAll("[data-signed-out]")) element.hidden = true;
}).catch(() => { /* The hub is away: the page stays as it is for everybody. */ });
