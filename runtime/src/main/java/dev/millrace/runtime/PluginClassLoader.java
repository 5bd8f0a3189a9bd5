package dev.millrace.runtime;

import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The class loader of one plug-in: its own jars come first, so that two plug-ins and the server can
 * each have their own version of a library. Shared with the server are the JDK, the API and SLF4J;
 * of everything else in the server the plug-in sees nothing.
 */
final class PluginClassLoader extends URLClassLoader {
  static {
    registerAsParallelCapable();
  }

  private static final List<String> SHARED =
      List.of("dev.millrace.api.", "org.slf4j.", "org.jspecify.annotations.");

  private final ClassLoader server;

  private PluginClassLoader(String name, URL[] jars, ClassLoader server) {
    super(name, jars, ClassLoader.getPlatformClassLoader());
    this.server = server;
  }

  /** Never closed: backends live as long as the process. */
  static PluginClassLoader of(Path plugin, List<Path> jars, ClassLoader server) {
    URL[] urls = new URL[jars.size()];
    for (int i = 0; i < urls.length; i++) {
      try {
        urls[i] = jars.get(i).toUri().toURL();
      } catch (MalformedURLException e) {
        throw new IllegalArgumentException("not a jar: " + jars.get(i), e);
      }
    }
    return new PluginClassLoader(String.valueOf(plugin.getFileName()), urls, server);
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    if (isShared(name)) {
      return server.loadClass(name);
    }
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      if (loaded == null) {
        loaded = findOwn(name);
      }
      if (loaded == null) {
        loaded = super.loadClass(name, false); // the JDK
      }
      if (resolve) {
        resolveClass(loaded);
      }
      return loaded;
    }
  }

  private static boolean isShared(String name) {
    for (String prefix : SHARED) {
      if (name.startsWith(prefix)) {
        return true;
      }
    }
    return false;
  }

  private @Nullable Class<?> findOwn(String name) {
    if (name.startsWith("java.") || getResourceUrl(name) == null) {
      return null;
    }
    try {
      return findClass(name);
    } catch (ClassNotFoundException e) {
      return null;
    }
  }

  private @Nullable URL getResourceUrl(String className) {
    return findResource(className.replace('.', '/') + ".class");
  }

  @Override
  public @Nullable URL getResource(String name) {
    URL own = findResource(name);
    return own == null ? super.getResource(name) : own;
  }

  @Override
  public Enumeration<URL> getResources(String name) throws IOException {
    List<URL> resources = new ArrayList<>(Collections.list(findResources(name)));
    if (resources.isEmpty()) {
      resources.addAll(Collections.list(super.getResources(name)));
    }
    return Collections.enumeration(resources);
  }
}
