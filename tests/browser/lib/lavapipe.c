// Has Chromium run WebGPU on lavapipe, Mesa's Vulkan driver for CPUs. Preloaded, this library puts
// the system's Vulkan in the place of Chromium's own SwiftShader, the only software adapter that
// Chromium takes on a machine without a display, and gives its devices the numbers that Chromium
// knows SwiftShader by.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))

static PFN_vkGetInstanceProcAddr system_vulkan;
static PFN_vkGetPhysicalDeviceProperties system_properties;
static PFN_vkGetPhysicalDeviceProperties2 system_properties2;

EXPORT void *dlopen(const char *path, int mode) {
    void *(*open)(const char *, int) = dlsym(RTLD_NEXT, "dlopen");
    if (!path || !strstr(path, "libvk_swiftshader.so")) return open(path, mode);
    void *vulkan = open("libvulkan.so.1", RTLD_NOW);
    if (!vulkan) return NULL;
    system_vulkan = dlsym(vulkan, "vkGetInstanceProcAddr");
    Dl_info self;
    dladdr(&system_vulkan, &self);
    return open(self.dli_fname, mode);
}

static void number_as_swiftshader(VkPhysicalDeviceProperties *properties) {
    properties->vendorID = 0x1AE0;
    properties->deviceID = 0xC0DE;
}

static VKAPI_ATTR void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties *result) {
    system_properties(device, result);
    number_as_swiftshader(result);
}

static VKAPI_ATTR void VKAPI_CALL properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *result) {
    system_properties2(device, result);
    number_as_swiftshader(&result->properties);
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
    PFN_vkVoidFunction function = system_vulkan(instance, name);
    if (!strcmp(name, "vkGetPhysicalDeviceProperties")) {
        system_properties = (PFN_vkGetPhysicalDeviceProperties)function;
        return (PFN_vkVoidFunction)properties;
    }
    if (!strcmp(name, "vkGetPhysicalDeviceProperties2")) {
        system_properties2 = (PFN_vkGetPhysicalDeviceProperties2)function;
        return (PFN_vkVoidFunction)properties2;
    }
    return function;
}
