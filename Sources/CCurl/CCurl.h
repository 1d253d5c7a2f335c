// libcurl's easy interface as Swift sees it: its variadic functions, one for each kind of argument.
#pragma once
#include <curl/curl.h>

static inline CURLcode ccurl_set_number(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_string(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode ccurl_set_receiver(CURL *handle, size_t (*receive)(char *, size_t, size_t, void *),
                                          void *context) {
  CURLcode code = curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
  return code ? code : curl_easy_setopt(handle, CURLOPT_WRITEDATA, context);
}
static inline CURLcode ccurl_status(CURL *handle, long *status) {
  return curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, status);
}
static inline CURLcode ccurl_redirection(CURL *handle, char **url) {
  return curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, url);
}

// The socket that stands behind the context, once: a second connection there is none.
static inline curl_socket_t ccurl_give_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
  (void)purpose, (void)address;
  curl_socket_t given = *(int *)context;
  *(int *)context = CURL_SOCKET_BAD;
  return given;
}
static inline int ccurl_is_connected(void *context, curl_socket_t socket, curlsocktype purpose) {
  (void)context, (void)socket, (void)purpose;
  return CURL_SOCKOPT_ALREADY_CONNECTED;
}

// Has libcurl talk over a connected socket, which is its own from then on, and open none itself.
static inline CURLcode ccurl_set_socket(CURL *handle, int *socket) {
  CURLcode code = curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, ccurl_give_socket);
  if (!code) code = curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, socket);
  return code ? code : curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, ccurl_is_connected);
}
