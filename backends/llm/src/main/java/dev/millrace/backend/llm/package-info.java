/**
 * Models that engines for language models answer for: vLLM or any other server that speaks the form
 * of OpenAI's API. This package says where they are and how they are to be treated; the server's
 * front end relays the requests.
 */
@NullMarked
package dev.millrace.backend.llm;

import org.jspecify.annotations.NullMarked;
